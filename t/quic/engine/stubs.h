
/*
 * Copyright (C) the trp authors
 */


/*
 * What stands for nginx's event loop.
 */


#ifndef STUBS_H_INCLUDED
#define STUBS_H_INCLUDED


void stubs_init(void);

/* runs events until none is due; the time of the next timer */

void stubs_events(void);
uint64_t stubs_timer(void);
uint64_t stubs_now(void);
void stubs_advance(uint64_t to);


#endif /* STUBS_H_INCLUDED */
