"""What happened, counted: figures of each day, what they come to, and what somebody should look at.

    rows --counting--> figures of a day --summing--> rates and means

A day that is over is counted once an hour while its conversations may still change, and then stands; what is not
counted yet is counted while it is asked for, so that an answer is never behind.
"""
