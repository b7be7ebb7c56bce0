"""qlazy: is this variational circuit learning, or is it a kernel method in disguise?"""

__version__ = "0.1.0"
