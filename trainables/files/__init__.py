"""Files and folders that appear whole, on this machine or in cloud storage."""
