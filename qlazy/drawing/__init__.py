"""The look of every figure and page: all that is shared of matplotlib and HTML."""
