#ifndef HARDEN_H
#define HARDEN_H

// Closes what programs of the space, which run as the same user, could do to the agent. Inherited by them.
void harden(void);

#endif
