"""A site with servers of its own, which are stopped one by one: what do its operators see?"""
