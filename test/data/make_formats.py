"""Writes the same four records as Hugging Face's datasets and zstd do: test/data/formats/*.

Needs datasets and zstandard.
"""

import pathlib
import shutil

import pyarrow as pa
import zstandard
from datasets import Dataset, DatasetDict

folder = pathlib.Path(__file__).parent / "formats"
shutil.rmtree(folder, ignore_errors=True)
records = Dataset.from_dict(
    {
        "text": ["a é 🙂", "b\nc", "", "d\u2028e\u0085f"],
        "n": [1, 2, 3, 4],
        "input_ids": [[1, 2], [3], [], [70000, 5]],
        "meta": [{"title": "one"}, {"title": "two"}, {"title": "three"}, {"title": "four"}],
    }
)
records.save_to_disk(folder / "one")
records.save_to_disk(folder / "shards", num_shards=2)
records.select([3, 0]).save_to_disk(folder / "selected")
records.remove_columns(["text"]).save_to_disk(folder / "ids")
DatasetDict(train=records, test=records).save_to_disk(folder / "splits")
DatasetDict(train=records.select([1])).save_to_disk(folder / "split")
records.to_parquet(folder / "ids.parquet")
records.to_json(folder / "lines.json")
records.to_json(folder / "array.json", lines=False)
records.select_columns(["text", "n"]).to_csv(folder / "table.csv", index=False)
table = pa.table(
    {
        "text": pa.array(records["text"], pa.large_string()),
        "input_ids": pa.array(list(records["input_ids"]), pa.large_list(pa.int32())),
    }
)
with pa.ipc.new_file(folder / "file.arrow", table.schema) as writer:
    writer.write_table(table, max_chunksize=2)
lines = (folder / "lines.json").read_bytes()
# Two frames, as `zstd` makes of files that are appended to each other, the second with a checksum.
half = lines.index(b"\n") + 1
first = zstandard.ZstdCompressor(level=3).compress(lines[:half])
second = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(lines[half:])
(folder / "lines.jsonl.zst").write_bytes(first + second)
for name in ("dataset_info.json",):
    for file in folder.rglob(name):
        file.unlink()
