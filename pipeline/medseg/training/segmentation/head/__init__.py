"""A head of classes that is trained together with masks on one encoder."""
