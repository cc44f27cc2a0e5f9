"""The routers of two set-ups; that of geocache is the one in docs/databases.md."""


class GeoRouter:
    def db_for_read(self, model, **hints):
        return self._alias(model._meta.app_label, model._meta.model_name)

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == (self._alias(app_label, model_name) or "default")

    def _alias(self, app_label, model_name):
        return "geo" if app_label == "geocache" and model_name != "apitoken" else None


class ReplicaRouter:
    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, first, second, **hints):
        return True

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == "default"
