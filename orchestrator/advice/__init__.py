"""What a study's results suggest to try: at most three sentences, while it runs and after."""
