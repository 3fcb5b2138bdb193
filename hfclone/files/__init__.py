"""Files and directories as the system has them: how they come to lie there, who may read them, what they hold."""
