"""Colours for line drawings: datasets, the conditional GAN, its checkpoints and their use. Works without Ray.

Names are loaded when they are used, so that `colorizer.prepare` starts without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
