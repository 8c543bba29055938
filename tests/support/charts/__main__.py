"""``python -m tests.support.charts``"""

from tests.support.charts import build

if __name__ == "__main__":
    print(build())
