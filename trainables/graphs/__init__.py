"""What of a traced graph is made otherwise than Keras makes it, and which networks one graph serves."""
