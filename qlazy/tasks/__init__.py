"""What tangent kernels are good for: subsets, self-training, tensors, features."""
