"""The audit service: what a coordinator published, over gRPC."""
