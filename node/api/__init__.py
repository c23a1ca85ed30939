"""What clients and operators reach: the gRPC services, their mapping, quotas and errors."""
