"""Networks that are pretrained; see `n3lib.pretrained.networks`."""
