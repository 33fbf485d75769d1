"""What the proxy decides: pure functions over values. No await, no clock, no dice, no IO."""
