python -m pip install '.[dev]'
python -m pytest
