from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0002_address_lists"),
        ("geocache", "0002_statistics"),
    ]

    operations = []
