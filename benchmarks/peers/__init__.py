"""What people would pick instead of convfleet, each as its own documentation recommends, in a process of its own."""
