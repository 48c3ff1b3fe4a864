"""Every formula of the pipeline's tables once more, in NumPy and SciPy, without any of its code."""
