"""The node's pure machine: ordering, mempool and the queue of final blocks; events in, effects out."""
