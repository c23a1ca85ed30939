"""What final blocks become: execution, receipts and lists, proofs, and how a start finds them again."""
