"""Services that list known objects by position: addresses, tables, limits and credits, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from peculiar.errors import UnknownNameError, UsageError

ROLES = ("ra", "dec", "id", "type", "redshift", "references")
"""What is asked about an object. Services have positions and ids of all objects, and the rest of some."""

PGC = "VII/237/pgc"
"""The table of VizieR that is asked if none is named."""


@dataclass(frozen=True, slots=True)
class TapService:
    """A table of a service with the Table Access Protocol of the IVOA (TAP 1.1).

    Parameters
    ----------
    name : str
        As on the command line.
    title, address, table : str
        The table by its name in ADQL.
    credit : str
        Acknowledgement that the service asks for.
    columns : mapping of str to str
        Names of the columns in ADQL by role, of `ROLES`; empty if the service is asked for them (`UCDS`).
    frame : str
        Name of the reference frame in ADQL.
    uploads : bool
        Whether positions can be uploaded as a table; otherwise they are listed in the query.
    batch : int
        Number of positions in a query.
    rate : float
        Queries a second.
    """

    name: str
    title: str
    address: str
    table: str
    credit: str
    columns: Mapping[str, str] = field(default_factory=dict)
    frame: str = "ICRS"
    uploads: bool = True
    batch: int = 500
    rate: float = 1.0


SERVICES = {
    one.name: one
    for one in (
        TapService(
            "simbad",
            "SIMBAD",
            "https://simbad.cds.unistra.fr/simbad/sim-tap",
            "basic",
            "This research has made use of the SIMBAD database, CDS, Strasbourg Astronomical Observatory, France "
            "(Wenger et al. 2000, A&AS 143, 9).",
            {
                "ra": "ra",
                "dec": "dec",
                "id": "main_id",
                "type": "otype",
                "redshift": "rvz_redshift",
                "references": "nbref",
            },
        ),
        TapService(
            "ned",
            "NED",
            "https://ned.ipac.caltech.edu/tap",
            "NEDTAP.objdir",
            "This research has made use of the NASA/IPAC Extragalactic Database, which is funded by the National "
            "Aeronautics and Space Administration and operated by the California Institute of Technology.",
            {"ra": "ra", "dec": "dec", "id": "prefname", "type": "prefphytype", "redshift": "z"},
            frame="J2000",
            uploads=False,
            batch=100,
        ),
        TapService(
            "vizier",
            "VizieR",
            "https://tapvizier.cds.unistra.fr/TAPVizieR/tap",
            PGC,
            "This research has made use of the VizieR catalogue access tool, CDS, Strasbourg, France "
            "(doi:10.26093/cds/vizier; Ochsenbein et al. 2000, A&AS 143, 23).",
        ),
    )
}
"""The services by name."""

UCDS = {
    "ra": ("pos.eq.ra;meta.main", "pos.eq.ra"),
    "dec": ("pos.eq.dec;meta.main", "pos.eq.dec"),
    "id": ("meta.id;meta.main", "meta.id", "meta.record"),
    "type": ("src.class", "src.morph.type", "src.class.starGalaxy"),
    "redshift": ("src.redshift", "src.redshift;meta.main", "src.redshift.phot"),
    "references": ("meta.bib.bibcode", "meta.bib"),
}
"""Meanings of columns, the preferred first, by which roles are found in a table of VizieR."""


def find_service(name: str) -> TapService:
    """Return a service by its name; ``vizier:TABLE`` is a table of VizieR.

    Raises
    ------
    UnknownNameError
        If there is no such service.
    UsageError
        If a table is named of another service than VizieR, or the name of the table is not one.
    """
    service, colon, table = name.partition(":")
    if service not in SERVICES:
        raise UnknownNameError("service", service, SERVICES)
    if not colon:
        return SERVICES[service]
    if service != "vizier":
        message = f"a table can be named of vizier only, as in vizier:{PGC}; received {name!r}"
        raise UsageError(message)
    if not table or not table.isprintable() or set(table) & set("\"' "):
        message = f"a table of VizieR is named as in vizier:{PGC}; received {name!r}"
        raise UsageError(message)
    return replace(SERVICES[service], table=table)
