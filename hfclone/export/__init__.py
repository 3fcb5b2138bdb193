"""What hfclone knows or has, in the form of somebody else's tools."""
