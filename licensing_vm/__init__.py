"""The licensing VM: decides what is owed, paid and permitted. Pure; knows no consensus and no IO."""
