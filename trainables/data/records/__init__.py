"""Files of many images each, by their own formats: IDX, CIFAR, WebDataset and TFRecord."""
