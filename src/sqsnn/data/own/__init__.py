"""Users' own data files: arrays out of .npz, tables, and the archives of time series.

Each reader gives what the file holds and nothing else: no scaling, no split, no encoding.
"""

# What `read_own` reads; here, so that names of files are told from names of datasets without numpy.
SUFFIXES = (".npz", ".csv", ".tsv", ".parquet", ".ts", ".arff")
