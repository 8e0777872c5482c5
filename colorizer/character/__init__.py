"""The embedded cartoon character: her looks, her parts, the brush. `colorizer.drawings` paints her."""
