"""The hyperparameters by what they are about, each part with its rules; `colorizer.config` joins them."""
