"""The node: composition root, and the only room with asyncio, grpc, plyvel, clocks and files."""
