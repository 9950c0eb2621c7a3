# file_bridge.tcl - sourced by tester.tcl (patched) when FILE_BRIDGE_TCL names it.
# Makes tester.tcl's file handling (forcedelete, copy_file, file exists/size,
# glob test.db*, hexio_*) act on files held by the default VFS. A path is a VFS
# file if the VFS says it exists; everything else goes to the real filesystem.
if {[info commands vfsfs]==""} { load {} Filebridge }
if {[vfsfs active] && [info commands real_file]==""} {
  rename file real_file
  rename glob real_glob
  rename hexio_read  real_hexio_read
  rename hexio_write real_hexio_write

  proc _vx {f} { expr {$f ne "" && ![catch {vfsfs exists $f} r] && $r} }

  proc file {sub args} {
    switch -glob -- $sub {
      exis* { if {[_vx [lindex $args 0]]} {return 1} }
      isfi* { if {[_vx [lindex $args 0]]} {return 1} }
      reada* - writ* { if {[_vx [lindex $args 0]]} {return 1} }
      siz* { if {[_vx [lindex $args 0]]} {return [vfsfs size [lindex $args 0]]} }
      del* {
        set fs $args
        while {[string match -* [lindex $fs 0]]} {
          set o [lindex $fs 0]; set fs [lrange $fs 1 end]
          if {$o eq "--"} break
        }
        foreach f $fs {
          if {[_vx $f]} {vfsfs delete $f}
          # deleting a directory takes the VFS names under it along
          if {[real_file isdirectory $f]} {
            set d [real_file normalize $f]/
            foreach n [vfsfs list] { if {[string first $d $n]==0} {vfsfs delete $n} }
          }
        }
      }
      cop* - ren* {
        set fs $args
        set force 0
        while {[string match -* [lindex $fs 0]]} {
          set o [lindex $fs 0]; set fs [lrange $fs 1 end]
          if {$o eq "-force"} {set force 1}
          if {$o eq "--"} break
        }
        lassign $fs from to
        if {[llength $fs]==2 && [_vx $from]} {
          if {[real_file isdirectory $to]} {set to [real_file join $to [real_file tail $from]]}
          if {!$force && [_vx $to]} {error "error copying \"$from\" to \"$to\": file already exists"}
          set data [vfsfs read $from 0 -1]
          if {[_vx $to]} {vfsfs delete $to}
          real_file delete -force $to
          vfsfs write $to 0 $data
          if {[string match ren* $sub]} {vfsfs delete $from}
          return
        } elseif {[llength $fs]==2 && [real_file isfile $from] && ([_vx $to] || [_dbname $to])} {
          # real file copied over a database name: import it into the VFS
          if {!$force && [_vx $to]} {error "error copying \"$from\" to \"$to\": file already exists"}
          set fd [open $from rb]; set data [read $fd]; close $fd
          if {[_vx $to]} {vfsfs delete $to}
          vfsfs write $to 0 $data
          if {[string match ren* $sub]} {real_file delete $from}
          return
        }
      }
    }
    tailcall real_file $sub {*}$args
  }
  proc _dbname {f} { regexp {\.db[0-9]*(-journal|-wal)?$} $f }

  proc glob {args} {
    set rc [catch {uplevel 1 [list real_glob {*}$args]} res opt]
    set pats {}
    set nocomp 0; set simple 1
    set a $args
    while {[string match -* [lindex $a 0]]} {
      set o [lindex $a 0]; set a [lrange $a 1 end]
      if {$o eq "--"} break
      if {$o eq "-nocomplain"} {set nocomp 1} else {set simple 0; break}
    }
    if {!$simple} {return -options $opt $res}
    set hits {}
    set cwd [pwd]/
    foreach n [vfsfs list] {
      set short $n
      if {[string first $cwd $n]==0} {set short [string range $n [string length $cwd] end]}
      foreach p $a {
        if {[string match $p $short] && ([string first / $short]<0 || [string first / $p]>=0)} {lappend hits $short}
        if {[string match $p $n] && $short ne $n} {lappend hits $n}
      }
    }
    if {$rc} { if {[llength $hits]} {return [lsort -unique $hits]}; return -options $opt $res }
    return [lsort -unique [concat $res $hits]]
  }

  proc hexio_read {f off amt} {
    if {![_vx $f]} {tailcall real_hexio_read $f $off $amt}
    binary scan [vfsfs read $f $off $amt] H* h
    string toupper $h
  }
  proc hexio_write {f off hex} {
    if {![_vx $f]} {tailcall real_hexio_write $f $off $hex}
    vfsfs write $f $off [binary format H* $hex]
  }

  rename md5file real_md5file
  proc md5file {f {off 0} {amt -1}} {
    if {![_vx $f]} {
      if {$amt<0} {tailcall real_md5file $f}
      tailcall real_md5file $f $off $amt
    }
    set fd [open md5file.tmp wb]; puts -nonewline $fd [vfsfs read $f $off $amt]; close $fd
    set r [real_md5file md5file.tmp]
    real_file delete md5file.tmp
    return $r
  }
}
