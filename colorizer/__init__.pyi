from .config import TrainingConfig as TrainingConfig
from .dataset import Dataset as Dataset
from .dataset import Drawings as Drawings
from .inference import Colorizer as Colorizer
from .inference import load_predictor as load_predictor
from .presets import preset as preset
from .training import Trainer as Trainer
