"""The columns of a dataset's Parquet file: their types, how pictures lie in them, what earlier versions lacked."""

import pyarrow as pa

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = {
    "name": pa.string(),
    "split": pa.string(),
    "group": pa.int64(),
    "label": pa.string(),
    "origin": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "line": IMAGE,
    "color": IMAGE,
}
# The description of columns that Hugging Face `datasets` writes into Parquet files, and knows images by.
FEATURES = {
    name: {"_type": "Image"} if kind == IMAGE else {"dtype": str(kind), "_type": "Value"}
    for name, kind in COLUMNS.items()
}
# What datasets of earlier versions lack, and what is said in its place.
LATER_COLUMNS: dict[str, str | int] = {"label": "", "origin": "given", "width": 0, "height": 0}


def stored_image(name: str, png: bytes) -> dict[str, str | bytes]:
    """A picture as `IMAGE` holds it; it is called as its drawing is, without the folders."""
    return {"bytes": png, "path": name.rpartition("/")[2] + ".png"}


def completed(rows: pa.Table) -> pa.Table:
    """Rows with the columns that datasets of earlier versions lack, behind their own."""
    for name, missing in LATER_COLUMNS.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.array([missing] * len(rows), COLUMNS[name]))
    return rows
