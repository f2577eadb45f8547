"""What any daemon needs, whatever it serves: a life cycle, a process, a log, a first start."""
