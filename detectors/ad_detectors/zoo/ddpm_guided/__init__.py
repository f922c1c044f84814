"""Turn an image to noise by DDIM, bring it back towards "normal" by a classifier, and see what changed."""
