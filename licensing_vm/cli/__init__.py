"""The offline author's tools: check, test, format, explain."""
