"""Real writers, flushers and schedulers, killed and stopped while they work: is anything lost?"""
