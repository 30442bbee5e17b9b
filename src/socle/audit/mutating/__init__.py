"""Break settings of a running lab one after the other, see whether their controls notice, and repair them."""
