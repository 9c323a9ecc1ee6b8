package scc

// Waiting is how many callers wait for listings under way.
func (c *Client) Waiting() int {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	n := 0
	for _, f := range c.flights.now {
		n += f.waiting
	}
	return n
}
