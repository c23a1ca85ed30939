"""What operators see and do: status in a sentence, metrics, logs, key files, the founding of a network."""
