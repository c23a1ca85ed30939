"""The terms language: text to checked template. See `licensing_vm/SPEC.md`."""
