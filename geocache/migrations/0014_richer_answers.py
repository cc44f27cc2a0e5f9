"""Let answers say more: continent, codes of regions, kind of network.

No row is written, also not in a table of millions: what an older row does not say is empty. All new
columns have a default in the database, so that processes of the release before can go on writing.
"""

from django.db import migrations, models
from django.db.models import Q

from geocache.models.columns import TraitsField
from geocache.models.migration_steps import AddColumn, AddPartialIndex


def text(label, length):
    """Return a column of text that is empty by default."""
    return models.CharField(label, blank=True, default="", db_default="", max_length=length)


COLUMNS = {
    "continent_code": text("continent", 2),
    "is_in_european_union": models.BooleanField(
        "in the European Union", default=False, db_default=False
    ),
    "registered_country_code": text("country of registration", 2),
    "region_code": text("code of the region", 10),
    "subdivisions": models.JSONField("subdivisions", blank=True, null=True),
    "metro_code": models.PositiveIntegerField("metro code", blank=True, null=True),
    "traits": TraitsField("kind of network", blank=True, default="", db_default="", max_length=500),
    "isp": text("ISP", 200),
    "domain": text("domain", 200),
    "connection_type": text("connection", 40),
    "user_type": text("users", 40),
    "mobile_country_code": text("mobile country code", 8),
    "mobile_network_code": text("mobile network code", 8),
    "details": models.JSONField("details", blank=True, null=True),
    "given_by": text("sources of the fields", 100),
}


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0013_narrow_indexes"),
    ]

    operations = [
        *(
            AddColumn(model_name=table, name=name, field=field)
            for table in ("geocache", "answerhistory")
            for name, field in COLUMNS.items()
        ),
        AddPartialIndex(
            "geocache",
            models.Index(fields=["resolved_at"], name="geocache_traits", condition=~Q(traits="")),
        ),
        AddPartialIndex(
            "geocache",
            models.Index(
                fields=["user_type", "resolved_at"],
                name="geocache_user_type",
                condition=~Q(user_type=""),
            ),
        ),
        AddPartialIndex(
            "geocache",
            models.Index(
                fields=["connection_type", "resolved_at"],
                name="geocache_connection",
                condition=~Q(connection_type=""),
            ),
        ),
    ]
