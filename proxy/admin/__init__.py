"""What operators see and do: reads stats and stores, never serves traffic."""
