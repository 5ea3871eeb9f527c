"""Users' own data files: arrays out of .npz, tables, and the archives of time series.

Each reader gives what the file holds and nothing else: no scaling, no split, no encoding.
"""

# The formats that `read_own` reads. They stand here so that settings need no numpy to tell the path
# of a file from the name of a dataset.
TABLES = (".csv", ".tsv", ".parquet")
SUFFIXES = (".npz", ".csv", ".tsv", ".parquet", ".ts", ".arff")
