"""Files of datasets: what they are, from where they come, and how they are unpacked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file that a dataset comes in.

    Attributes:
        filename: its name in the dataset's root folder.
        url: empty if it must be fetched by hand.
        md5: in hexadecimal; empty if none is published.
        into: the folder below the root that it is unpacked in, or kept in as it is.
    """

    filename: str
    url: str = ""
    md5: str = ""
    into: str = ""
    unpack: bool = True
