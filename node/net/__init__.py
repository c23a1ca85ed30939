"""Between nodes: the transport port, what travels through it, and the gRPC transport."""
