"""The staff console: a page on which a support team does its daily work, over the same API as everybody else."""
