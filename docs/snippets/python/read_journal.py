import json
from collections import Counter

with open("runs/quickstart/journal.jsonl", encoding="utf-8") as lines:
    print(Counter(json.loads(line)["type"] for line in lines))
