"""The main job's parts: open, look, plan, develop, prove, judge, land, conclude. One file each."""
